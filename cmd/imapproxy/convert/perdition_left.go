package convert

import (
	"fmt"
)

// leftOver notes each option that no step took: those that need nothing, and
// those that another place overrides.
func (c *perditionConverter) leftOver() {
	for n, i := range c.instances {
		why := "not looked at, because of what is refused"
		if n > 0 {
			why = fmt.Sprintf("the instance %s says the same", c.instances[0].name)
		}
		for _, counts := range i.settings {
			for _, u := range counts {
				if u.option.why == "" && !c.noted(u.at) {
					c.note(u.at, NotNeeded, "%s", why)
				}
			}
		}
		for _, u := range i.line {
			c.left(u)
		}
	}
	for _, uses := range c.confs {
		for _, u := range uses {
			c.left(u)
		}
	}
	for _, u := range c.others {
		if !c.noted(u.at) {
			c.note(u.at, Stays, "for an instance that stays with perdition")
		}
	}
}

func (c *perditionConverter) left(u *use) {
	switch {
	case c.noted(u.at):
	case u.option.why != "":
		c.note(u.at, NotNeeded, "%s", u.option.why)
	default:
		c.note(u.at, NotNeeded, "another line or the command line says it again, and perdition takes that")
	}
}

// done notes an option as converted.
func (c *perditionConverter) done(u *use, format string, args ...any) {
	c.note(u.at, Converted, format, args...)
}

// from is the comment for a setting.
func (u *use) from() string {
	if u.at.line == 0 {
		return fmt.Sprintf("%s (%s)", u.option.long, u.at.file)
	}
	return fmt.Sprintf("%s (%s:%d)", u.option.long, u.at.file, u.at.line)
}
