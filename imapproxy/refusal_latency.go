package imapproxy

import (
	"sync/atomic"
	"time"
)

// refusalLatency knows how long backends usually take to refuse a login, so that a
// user whom no route knows can be refused as late as one with a wrong password.
type refusalLatency struct{ average atomic.Int64 } // nanoseconds; 0 before the first

// firstRefusalLatency stands in until a backend has refused a login.
const firstRefusalLatency = time.Second

// learn takes one refusal into a moving average.
func (j *refusalLatency) learn(took time.Duration) {
	old := j.average.Load()
	if old == 0 {
		j.average.Store(int64(took))
		return
	}
	j.average.Store(old + (int64(took)-old)/8) // a lost update does no harm
}

// usual is how long a refusal takes.
func (j *refusalLatency) usual() time.Duration {
	if n := j.average.Load(); n > 0 {
		return time.Duration(n)
	}
	return firstRefusalLatency
}
