// Package davmail runs Debian's DavMail, an IMAP server written in Java, in front of a stand-in for Exchange Web
// Services, so that the rig has a Java server that it did not write.
package davmail

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

const (
	debianJar = "/usr/share/davmail/davmail.jar"
	install   = "apt-get install davmail-server"
	newerJava = "apt-get install default-jre-headless"
)

// Options say how to start DavMail. The zero value is good.
type Options struct {
	Port       uint16        // IMAP; 0 = a free one
	Everywhere bool          // it listens on every address and takes clients from elsewhere; else 127.0.0.1
	Messages   []int         // sizes in bytes of the messages in each user's INBOX; nil = one of 2,000
	Wait       time.Duration // how long it waits for Exchange, in seconds; 0 = DavMail's own, two minutes
	Jar        string        // "" = Debian's
	JVM        []string      // flags for the JVM after those that make it start fast
}

// Server is a running DavMail with its Exchange. Stop must be called.
type Server struct {
	*Exchange
	Port  uint16 // IMAP
	proxy *rig.Proxy
}

// Start starts both and waits until DavMail listens, at most a minute. The process ends with ours, however we end.
func Start(ctx context.Context, opts Options) (*Server, error) {
	jar := opts.Jar
	if jar == "" {
		jar = debianJar
	}
	if _, err := os.Stat(jar); err != nil {
		return nil, fmt.Errorf("start DavMail: no %s: %s", jar, install)
	}
	listen, err := opts.listen()
	if err != nil {
		return nil, fmt.Errorf("start DavMail: %w", err)
	}
	exchange, err := startExchange(opts.Messages)
	if err != nil {
		return nil, fmt.Errorf("start DavMail: %w", err)
	}
	peer := rig.Peer{
		Name: "DavMail", Programs: []string{"java"}, Packages: install,
		Prepare: func(s *rig.PeerSetup) ([]string, error) {
			s.Listen = []netip.AddrPort{listen}
			args := []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx384m", "-Djava.awt.headless=true"}
			args = append(append(args, opts.JVM...), "-jar", jar, "-server", s.Path("davmail.properties"))
			return args, s.WriteFile("davmail.properties", opts.properties(s.Path("log"), listen, exchange.url()))
		},
	}
	proxy, err := peer.Start(ctx, netip.AddrPort{}, netip.Addr{})
	if err != nil {
		if strings.Contains(err.Error(), "UnsupportedClassVersionError") { // the trace says no more
			err = fmt.Errorf("start DavMail: the java in PATH is too old for %s: %s", jar, newerJava)
		}
		return nil, errors.Join(err, exchange.close())
	}
	return &Server{Exchange: exchange, Port: listen.Port(), proxy: proxy}, nil
}

// listen returns where DavMail is to listen.
func (o Options) listen() (netip.AddrPort, error) {
	host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if o.Everywhere {
		host = netip.IPv4Unspecified()
	}
	if o.Port == 0 {
		return rig.FreeAddr(host)
	}
	addr := netip.AddrPortFrom(host, o.Port)
	return addr, rig.CheckFree(addr)
}

// properties returns DavMail's configuration: IMAP only, with IDLE, which it offers when it may ask for news.
func (o Options) properties(log string, listen netip.AddrPort, url string) string {
	lines := []string{
		"davmail.server=true", "davmail.mode=EWS", "davmail.url=" + url, "davmail.disableUpdateCheck=true",
		"davmail.imapPort=" + strconv.Itoa(int(listen.Port())), "davmail.imapIdleDelay=1",
		"davmail.smtpPort=", "davmail.popPort=", "davmail.caldavPort=", "davmail.ldapPort=",
		"davmail.enableKeepAlive=true", "davmail.logFilePath=" + log,
		"log4j.rootLogger=WARN", "log4j.logger.davmail=WARN",
	}
	if o.Everywhere {
		lines = append(lines, "davmail.allowRemote=true", "davmail.bindAddress=")
	} else {
		lines = append(lines, "davmail.allowRemote=false", "davmail.bindAddress="+listen.Addr().String())
	}
	if o.Wait != 0 {
		lines = append(lines, "davmail.exchange.soTimeout="+strconv.Itoa(int(o.Wait.Seconds())))
	}
	return strings.Join(lines, "\n") + "\n"
}

// Addr returns host:port of the IMAP listener.
func (s *Server) Addr() string {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), s.Port).String()
}

// PID returns DavMail's process id, for /proc/PID/net and /proc/PID/fd.
func (s *Server) PID() int { return s.proxy.PID }

// Stop answers what hangs, and ends DavMail, then Exchange.
func (s *Server) Stop() error {
	s.Release()
	return errors.Join(s.proxy.Stop(), s.Exchange.close())
}
