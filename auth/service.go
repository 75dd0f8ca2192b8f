package auth

// ServiceError is the error of a service that could not answer a request: the
// client reads NO [UNAVAILABLE].
type ServiceError struct {
	Server string       // its name or address
	Fault  ServiceFault // the zero value for all that has no kind of its own
	Text   string       // for the log; never a secret
	Err    error        // the cause, for errors.Is and errors.As; nil without one
}

// ServiceFault is the kind of a ServiceError, for those who have to name it.
type ServiceFault int

// The kinds of faults that scripts know from nginx's log.
const (
	ServiceFailed     ServiceFault = iota
	ServiceTimeout                 // no answer in time
	ServiceNoServer                // no Auth-Server
	ServiceNoPassword              // no Auth-Pass
	ServiceBadServer               // an Auth-Server that is neither a name nor an address
	ServiceBadPort                 // an Auth-Port that is no port
	ServiceBadHeader               // an answer that is not HTTP, or too large
)

func (e *ServiceError) Error() string { return "auth server " + e.Server + ": " + e.Text }

func (e *ServiceError) Unwrap() error { return e.Err }
