package convert

import (
	"time"

	"imapproxy/cmd/imapproxy/config"
)

type spanBounds = config.Bounds[time.Duration]

// spanBoundsOf returns what a key of the schema takes, by its full name.
func spanBoundsOf(key string) spanBounds { return config.BoundsOf[time.Duration](key) }

// countBoundsOf is spanBoundsOf for numbers.
func countBoundsOf(key string) config.Bounds[int] { return config.BoundsOf[int](key) }
