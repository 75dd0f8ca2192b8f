package convert

import (
	"fmt"
	"slices"
)

// leftOver notes each option that no step took: those that need nothing, and
// those that another place overrides.
func (c *perditionConverter) leftOver() {
	for n, i := range c.instances {
		for long, counts := range i.settings {
			for _, u := range counts {
				switch {
				case u.option.why != "" || c.noted(u.at):
				case n > 0 && slices.Equal(effective(long, counts), effective(long, c.instances[0].settings[long])):
					c.note(u.at, NotNeeded, "the instance %s says the same", c.instances[0].name)
				case c.failed():
					c.note(u.at, NotNeeded, "not looked at, because of what is refused")
				default:
					c.refuse(u.at, "no rule for it: remove it")
				}
			}
		}
		for _, u := range i.lost {
			c.note(u.at, NotNeeded, "perdition loses it: %s on the command line covers it by mistake",
				coveredBy[u.option.long])
		}
		for _, u := range i.line {
			c.left(u)
		}
	}
	if _, read := c.confs[within(c.folder, c.name)]; !read && !c.failed() {
		c.note(&statement{file: c.name}, NotNeeded, "no instance that is converted reads it")
	}
	for _, u := range c.others {
		c.noteOnce(u, Stays, "for an instance that stays with perdition")
	}
	for _, u := range c.leftOut {
		c.noteOnce(u, NotNeeded, "for the instance that is left out")
	}
	for _, uses := range c.confs {
		for _, u := range uses {
			c.left(u)
		}
	}
}

// noteOnce notes an option that nothing else is said of.
func (c *perditionConverter) noteOnce(u *use, status Status, why string) {
	if !c.noted(u.at) {
		c.note(u.at, status, "%s", why)
	}
}

func (c *perditionConverter) left(u *use) {
	why := u.option.why
	if why == "" {
		why = "another line or the command line says it again, and perdition takes that"
	}
	c.noteOnce(u, NotNeeded, why)
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
