package exits

import (
	"slices"
	"time"
)

// answerTime is how long one session waited for an answer.
type answerTime struct {
	verb string
	at   time.Time
	took time.Duration
}

// answers is how long the sessions of a cell waited for the answers to two commands: a server whose workers are stuck,
// or whose descriptors run out, gets slower in the course of a run.
type answers struct {
	Seconds float64 `json:"seconds"` // of the first, since the run's beginning
	Login   latency `json:"login"`
	Select  latency `json:"select"`
}

// latency is in milliseconds.
type latency struct {
	Count  int     `json:"count"`
	Median float64 `json:"median_ms"`
	Most   float64 `json:"most_ms"`
}

// answersOf summarizes what the sessions of a cell have noted, nil where none was answered.
func answersOf(noted []answerTime, began time.Time) *answers {
	if len(noted) == 0 {
		return nil
	}
	first := slices.MinFunc(noted, func(a, b answerTime) int { return a.at.Compare(b.at) })
	return &answers{Seconds: first.at.Sub(began).Seconds(), Login: latencyOf(noted, "LOGIN"),
		Select: latencyOf(noted, "SELECT")}
}

func latencyOf(noted []answerTime, verb string) latency {
	var took []float64
	for _, a := range noted {
		if a.verb == verb {
			took = append(took, float64(a.took.Microseconds())/1000)
		}
	}
	if len(took) == 0 {
		return latency{}
	}
	slices.Sort(took)
	return latency{len(took), took[len(took)/2], took[len(took)-1]}
}
