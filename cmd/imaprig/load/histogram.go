package load

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	histogramBits = 7                  // 128 buckets for each power of two: a value is known to 0.8 %
	histogramSub  = 1 << histogramBits // buckets
	histogramTop  = 40                 // 2^40 ns, 18 minutes, and all above share the last bucket
	histogramSize = (histogramTop - histogramBits + 1) * histogramSub
)

// histogram counts durations in buckets whose width grows with the value, as HdrHistogram's do. Any number of
// goroutines may record at once. The zero value is empty.
type histogram struct {
	counts [histogramSize]atomic.Uint64
	most   atomic.Int64 // ns
}

func (h *histogram) record(d time.Duration) {
	h.counts[bucketOf(d)].Add(1)
	for {
		most := h.most.Load()
		if int64(d) <= most || h.most.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < histogramSub {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - histogramBits
	return min(shift*histogramSub+int(v>>shift), histogramSize-1)
}

// bucketStart returns the least duration that falls into bucket i.
func bucketStart(i int) time.Duration {
	if i < histogramSub {
		return time.Duration(i)
	}
	shift := i/histogramSub - 1
	return time.Duration(histogramSub+i%histogramSub) << shift
}

func (h *histogram) count() uint64 {
	var n uint64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// quantile returns the duration that a share q of the recorded ones, 0 to 1, does not exceed: the middle of its bucket,
// and never more than the longest. 0 when there is none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.count()))
	var seen uint64
	for i := range h.counts {
		n := h.counts[i].Load()
		if seen += n; n > 0 && seen >= max(rank, 1) {
			return min((bucketStart(i)+bucketStart(i+1))/2, h.longest())
		}
	}
	return 0
}

func (h *histogram) longest() time.Duration { return time.Duration(h.most.Load()) }

// bar is a stretch of a histogram for the report.
type bar struct {
	FromUS float64 `json:"from_us"`
	ToUS   float64 `json:"to_us"`
	Count  uint64  `json:"count"`
}

const barsPerPower = 4

// bars returns the buckets, merged into a few for each power of two, from the first to the last that is not empty.
func (h *histogram) bars() []bar {
	const step = histogramSub / barsPerPower
	var all []bar
	first, last := -1, 0
	for i := 0; i < histogramSize; i += step {
		b := bar{FromUS: microseconds(bucketStart(i)), ToUS: microseconds(bucketStart(i + step))}
		for k := i; k < i+step; k++ {
			b.Count += h.counts[k].Load()
		}
		if all = append(all, b); b.Count > 0 {
			last = len(all)
			if first < 0 {
				first = len(all) - 1
			}
		}
	}
	return all[max(first, 0):last]
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
