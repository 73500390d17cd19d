package ui

import (
	"fmt"
	"time"
)

// Moment is a point in time, as seen from the moment of the page.
type Moment struct{ at, now time.Time }

// At returns the moment at, seen from now.
func At(at, now time.Time) Moment { return Moment{at.UTC(), now.UTC()} }

// IsZero reports whether there is no such moment.
func (m Moment) IsZero() bool { return m.at.IsZero() }

// Machine is for a time element's datetime attribute.
func (m Moment) Machine() string { return m.at.Format(time.RFC3339) }

// Clock is the time, with the day if it is not today's.
func (m Moment) Clock() string {
	if m.at.Format(time.DateOnly) == m.now.Format(time.DateOnly) {
		return m.at.Format("15:04 UTC")
	}
	return m.at.Format("Mon 2 Jan, 15:04 UTC")
}

// Date is the day, for what stays on paper.
func (m Moment) Date() string { return m.at.Format("2 January 2006") }

// Relative is the distance from now: "in 2 h 5 min", "3 min ago", "just now".
func (m Moment) Relative() string {
	d := m.at.Sub(m.now)
	switch {
	case d > -time.Minute && d <= 0:
		return "just now"
	case d < 0:
		return span(-d) + " ago"
	}
	return "in " + span(d)
}

// span names the two largest units of d, or one where the second is nothing.
func span(d time.Duration) string {
	minutes := int((d + time.Second/2) / time.Minute)
	days, hours, minutes := minutes/(24*60), minutes/60%24, minutes%60
	switch {
	case days >= 2 && hours == 0:
		return fmt.Sprintf("%d days", days)
	case days >= 2:
		return fmt.Sprintf("%d days %d h", days, hours)
	case days*24+hours > 0 && minutes == 0:
		return fmt.Sprintf("%d h", days*24+hours)
	case days*24+hours > 0:
		return fmt.Sprintf("%d h %d min", days*24+hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min", minutes)
	}
	return fmt.Sprintf("%d s", max(1, int(d/time.Second)))
}
