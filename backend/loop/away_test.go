package loop

import (
	"context"
	"testing"
	"time"
)

// TestLeave goes on in a goroutine while the loop runs another task, whatever wakes the one that has left.
func TestLeave(t *testing.T) {
	l, _ := byHand(t)
	gate, over := make(chan struct{}), false
	var waited error
	task := l.Go(func(task *Task) {
		if err := Leave(task.Endless()); err != nil {
			t.Errorf("leaving: %v", err)
		}
		<-gate // a loop that waited here would never open it
		task.Return()
		waited = task.Pause("test", time.Time{})
		task.Return() // nothing: it is back
		over = true
	})
	turn(l)
	task.Interrupt()
	l.Set(&Timer{Do: task}, l.Now().Add(-time.Second))
	l.Go(func(*Task) { close(gate) })
	turn(l)
	until(t, l, "the end of the task", func() bool { return over })
	if waited != context.Canceled || l.outside.running != 0 || l.Tasks() != 0 {
		t.Errorf("a wait after the return: %v; %d outside, %d tasks", waited, l.outside.running, l.Tasks())
	}
	if err := Leave(t.Context()); err != nil {
		t.Errorf("without a loop: %v", err)
	}
}

// TestLeavePanic ends the task whose job panics outside, and no other: the panic comes in the loop.
func TestLeavePanic(t *testing.T) {
	l, _ := byHand(t)
	l.Go(func(task *Task) {
		_ = task.Leave()
		panic("outside")
	})
	var caught any
	func() {
		defer func() { caught = recover() }()
		until(t, l, "the panic", func() bool { return false })
	}()
	turn(l) // what was left of the round
	if caught != "outside" || l.Tasks() != 0 || l.outside.running != 0 {
		t.Errorf("%v, %d tasks, %d outside", caught, l.Tasks(), l.outside.running)
	}
}

// TestLeaveRecovered comes back before a deferred function uses what is the loop's.
func TestLeaveRecovered(t *testing.T) {
	l, _ := byHand(t)
	var caught any
	var back bool
	l.Go(func(task *Task) {
		defer func() {
			caught = recover()
			back = !task.away
		}()
		defer task.Return()
		_ = task.Leave()
		panic("outside")
	})
	until(t, l, "the end of the task", func() bool { return l.Tasks() == 0 })
	if caught != "outside" || !back {
		t.Errorf("caught %v, back in the loop: %v", caught, back)
	}
}
