//go:build soak

package main

import "testing"

// TestSoakJMeter is the whole: 20 logins each without a pool and with one,
// and the rates compared with the Dovecots' own.
func TestSoakJMeter(t *testing.T) {
	r := newJMeterRig(t)
	own := map[mode]float64{}
	for _, m := range jmeterModes {
		own[m] = r.run(t, r.direct(m), m, 20)
		t.Logf("%s, direct: %.0f logins/s", m, own[m])
	}
	for name, pooled := range map[string]string{"no pool": "no user$", "all in a pool": ""} {
		for m, rate := range r.round(t, name, pooled, 20) {
			t.Logf("%s, %s: %.0f logins/s, %.2f of direct", m, name, rate, rate/own[m])
		}
	}
}

// direct is the port of the Dovecot where the mode's users are.
func (r *jmeterRig) direct(m mode) int {
	if m == tlsFirst {
		return r.account(m, 0).Server.TLSPort
	}
	return r.account(m, 0).Server.PlainPort
}

// TestSoakJavaMail exercises every way in every mode, and with Jakarta Mail, too.
func TestSoakJavaMail(t *testing.T) {
	for name, jakarta := range map[string]bool{"JavaMail": false, "Jakarta Mail": true} {
		t.Run(name, func(t *testing.T) {
			newJavaRig(t).exerciseAll(t, jakarta, func(javaEndpoint) bool { return false })
		})
	}
}
