package imapproxy

// Names of the timers. The clock of a test finds a timer by its name; those of a
// backend's connection are in package backend.
const (
	timerLogin         = "login"
	timerProxyHeader   = "proxy_header"
	timerRefusal       = "refusal" // a refusal that the client waits for
	timerFarewell      = "farewell"
	timerKick          = "kick"
	timerHalfClose     = "half_close"
	timerHalfCloseIdle = "half_close_idle"
	timerDrain         = "drain"
	timerAccept        = "accept"
	timerGrace         = "grace"
	timerSweep         = "sweep"
	timerRelay         = "relay" // when a relay is looked at
	timerPools         = "pools"
	timerCensus        = "census"
	timerRecount       = "recount"
)
