package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	for _, d := range []time.Duration{-5, 0, 1, 127, 128, 129, 255, 256, 1000, 12345, time.Millisecond, time.Second,
		10 * time.Minute} {
		i := bucketOf(d)
		low, high := bucketStart(i), bucketStart(i+1)
		if want := max(d, 0); want < low || want >= high || float64(high-low) > 1+float64(low)*0.008 {
			t.Errorf("%v is in bucket %d, from %v to %v", d, i, low, high)
		}
	}
	if i := bucketOf(100 * time.Hour); i != histogramSize-1 {
		t.Errorf("100 hours are in bucket %d, want the last, %d", i, histogramSize-1)
	}
}

// TestQuantiles holds the histogram against the sorted values.
func TestQuantiles(t *testing.T) {
	h := &histogram{}
	if h.quantile(0.5) != 0 || len(h.bars()) != 0 {
		t.Error("an empty histogram has values")
	}
	var all []time.Duration
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		d := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		h.record(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		want := float64(all[int(q*float64(len(all)))-1])
		if got := float64(h.quantile(q)); got < want*0.99 || got > want*1.01 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if h.longest() != all[len(all)-1] || h.quantile(1) > h.longest() {
		t.Errorf("longest %v, quantile 1 %v, want %v", h.longest(), h.quantile(1), all[len(all)-1])
	}
	var n uint64
	bars := h.bars()
	for i, b := range bars {
		n += b.Count
		if i > 0 && b.FromUS != bars[i-1].ToUS {
			t.Errorf("bar %d begins at %v, the one before ends at %v", i, b.FromUS, bars[i-1].ToUS)
		}
	}
	if n != 20000 || bars[0].Count == 0 || bars[len(bars)-1].Count == 0 {
		t.Errorf("the bars hold %d, want 20000, and none at the ends empty", n)
	}
}
