package timing

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestWithin ends with the cause at the limit, and not before; freed, it is
// cancelled.
func TestWithin(t *testing.T) {
	limit := errors.New("limit")
	ctx, free := Within(context.Background(), System{}, "test", time.Hour, limit)
	if ctx.Err() != nil {
		t.Error("over before the limit")
	}
	free()
	if context.Cause(ctx) != context.Canceled {
		t.Errorf("freed: %v", context.Cause(ctx))
	}
	ctx, free = Within(context.Background(), System{}, "test", time.Nanosecond, limit)
	defer free()
	<-ctx.Done()
	if context.Cause(ctx) != limit {
		t.Errorf("past the limit: %v", context.Cause(ctx))
	}
}
