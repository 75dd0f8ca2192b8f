package imapproxy

import (
	"sync/atomic"
	"time"
)

// judging knows how long backends usually take to refuse a login, so that a
// user whom no route knows can be refused as late as one with a wrong password.
type judging struct{ average atomic.Int64 } // nanoseconds; 0 before the first

// firstJudging stands in until a backend has refused somebody.
const firstJudging = time.Second

// learn takes one refusal into a moving average.
func (j *judging) learn(took time.Duration) {
	old := j.average.Load()
	if old == 0 {
		j.average.Store(int64(took))
		return
	}
	j.average.Store(old + (int64(took)-old)/8) // a lost update does no harm
}

// usual is how long a refusal takes.
func (j *judging) usual() time.Duration {
	if n := j.average.Load(); n > 0 {
		return time.Duration(n)
	}
	return firstJudging
}
