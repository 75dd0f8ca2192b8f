package rigtest

import (
	"errors"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEventuallyStays(t *testing.T) {
	calls := 0
	EventuallyStays(t, func() error {
		if calls++; calls == stayFor {
			return errors.New("once more")
		}
		return nil
	})
	if calls != 2*stayFor {
		t.Errorf("%d calls, want %d", calls, 2*stayFor)
	}
}
