package imapproxy

import (
	"maps"
	"slices"
	"sync"
	"testing"
)

// Only a socket that two counts on end have is a difference, not as many others.
func TestCensusStillAfter(t *testing.T) {
	set := func(inodes ...uint64) map[uint64]bool {
		m := map[uint64]bool{}
		for _, i := range inodes {
			m[i] = true
		}
		return m
	}
	tests := []struct{ before, now, want []uint64 }{
		{nil, nil, nil},
		{[]uint64{1, 2}, []uint64{3, 4, 5}, nil},
		{[]uint64{1, 2}, []uint64{2, 3}, []uint64{2}},
		{nil, []uint64{1}, nil},
		{[]uint64{7}, []uint64{7}, []uint64{7}},
	}
	for _, tt := range tests {
		for name, of := range map[string]func([]uint64) counted{
			"missing": func(i []uint64) counted { return counted{missing: set(i...), unknown: set()} },
			"unknown": func(i []uint64) counted { return counted{missing: set(), unknown: set(i...)} },
		} {
			c := of(tt.now)
			c.stillAfter(of(tt.before))
			got := slices.Sorted(maps.Keys(c.missing))
			got = append(got, slices.Sorted(maps.Keys(c.unknown))...)
			if !slices.Equal(got, tt.want) || c.differences() != len(tt.want) {
				t.Errorf("%s %v, then %v: %v, want %v", name, tt.before, tt.now, got, tt.want)
			}
		}
		a, b := counted{missing: set(1)}, counted{unknown: set(1)}
		if b.stillAfter(a); b.differences() != 0 {
			t.Error("missing before and unknown now is no difference that lasts")
		}
	}
}

// Sockets that come and go while they are counted are no difference.
func TestCensusChurn(t *testing.T) {
	notQuick(t)
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
	r.address("plain")
	stop := make(chan struct{})
	var churning sync.WaitGroup
	for n := range 8 {
		churning.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := r.shortLease(int64(n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 10 {
		r.expectCensus(0)
	}
	close(stop)
	churning.Wait()
}
