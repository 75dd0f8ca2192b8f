package config

import "imapproxy/backend/ledger"

// Policy is the section [listener.policy].
type Policy struct {
	Place       Place
	Deny        []string `key:"deny" example:"COPY|XAPPLEPUSHSERVICE" print:"no"`
	ReadOnly    bool     `key:"read_only" default:"false"`
	AppendLimit int      `key:"append_limit" example:"26214400" min:"1" max:"1099511627776" print:"no"`
	Compress    string   `key:"compress" default:"refuse" enum:"refuse|pass"`
}

// Rules are the policy as the ledger takes it.
func (p *Policy) Rules() ledger.Rules {
	return ledger.Rules{Deny: p.Deny, ReadOnly: p.ReadOnly, AppendLimit: int64(p.AppendLimit),
		PassCompress: p.Compress == "pass"}
}

// checkPolicy reports what no client could live with, and what could not be kept.
func checkPolicy(p *Policy, r *Report) {
	for _, name := range p.Deny {
		if err := ledger.CheckDeny(name); err != nil {
			r.Errorf(p.Place, "deny", "remove it", "%s", err)
			return
		}
	}
	if _, err := ledger.NewPolicy(p.Rules()); err != nil {
		r.Errorf(p.Place, "compress", `write compress = "refuse", or remove deny, read_only and append_limit`, "%s",
			err)
	}
}
