package clientview

import (
	"fmt"
	"strconv"

	"github.com/vedfolnir/session/internal/handle"
)

// Stamp orders what clients see of one session.
type Stamp struct{ Epoch, Version, Rev uint64 }

// Append "epoch.version.rev".
func (s Stamp) Append(dst []byte) []byte {
	dst = append(strconv.AppendUint(dst, s.Epoch, 10), '.')
	dst = append(strconv.AppendUint(dst, s.Version, 10), '.')
	return strconv.AppendUint(dst, s.Rev, 10)
}

// ParseStamp reads what Append writes, and nothing else.
func ParseStamp(text string) (s Stamp, err error) {
	if _, err := fmt.Sscanf(text, "%d.%d.%d", &s.Epoch, &s.Version, &s.Rev); err != nil || string(s.Append(nil)) != text {
		return Stamp{}, handle.ErrMalformed
	}
	return s, nil
}
