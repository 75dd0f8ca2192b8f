package convert

import "slices"

// listenerNames returns the names of each server's listeners.
func (c *nginxConverter) listenerNames() [][]string {
	taken := map[string]bool{}
	names := make([][]string, len(c.servers))
	for i, s := range c.servers {
		for _, l := range s.listens {
			names[i] = append(names[i], listenerName(&l, taken))
		}
	}
	return names
}

// writeLog writes the log: that of the first server for the program and for all
// servers that have no other, and those of the others for their listeners.
func (c *nginxConverter) writeLog(d *document, names [][]string) {
	first := c.servers[0]
	format := setting{"format", text("nginx"), "\"json\" is for programs"}
	if places := first.log; isOneLog(places) {
		d.section("[log]", append([]setting{{"level", text(places[0].level), places[0].from.from()}, format},
			placeSettings(places)...))
	} else {
		for _, place := range places {
			d.section("[[log.output]]", place.output(format, nil))
		}
	}
	for i, s := range c.servers[1:] {
		for _, place := range s.log {
			d.section("[[log.output]]", place.output(format, names[i+1]))
		}
	}
}

// isOneLog reports whether the places can stand in [log], which has one level, one
// file and one syslog server, or standard error.
func isOneLog(places []logPlace) bool {
	for i, place := range places {
		same := func(other logPlace) bool { return place.key == other.key || other.key == "" }
		if place.level != places[0].level || slices.ContainsFunc(places[:i], same) || i > 0 && place.key == "" {
			return false
		}
	}
	return len(places) > 0
}

// placeSettings are the files and syslog servers.
func placeSettings(places []logPlace) []setting {
	var keys []setting
	for _, place := range places {
		if place.key != "" {
			keys = append(keys, setting{place.key, text(place.value), place.from.from()})
		}
	}
	return keys
}

// output returns the settings of a section of its own; without listeners it is for
// all that no other section names.
func (p logPlace) output(format setting, listeners []string) []setting {
	keys := placeSettings([]logPlace{p})
	if len(keys) == 0 {
		keys = []setting{{"stderr", "true", p.from.from()}}
	}
	keys = append(keys, setting{"level", text(p.level), ""}, format)
	if len(listeners) > 0 {
		keys = append(keys, setting{"listeners", list(listeners), "of the server with this error_log"})
	}
	return keys
}
