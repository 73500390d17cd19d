package sessionhttp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"github.com/vedfolnir/session"
)

const (
	deviceSuffix = "-device"
	// deviceUsers is how many people a device is known to: the last ones.
	deviceUsers = 4
	// deviceAge is as long as browsers keep a cookie.
	deviceAge = 400 * 24 * time.Hour
)

// device is what a browser shows of who has signed in with it: an id made at
// random, and for each of those users an HMAC over the id and the user. Nobody can
// make one, it opens nothing, and it stays when they sign out.
type device struct {
	id    [16]byte
	users [][]byte
}

// KnownDevice reports whether the user has signed in with this browser before, with
// Config.KnownDevices on, and returns an id of the two. It proves nobody's identity:
// it tells an owner from somebody who guesses, so that limits which the guesser has
// used up need not keep the owner out. Give each known device a limit of its own.
func (h *Handler) KnownDevice(r *http.Request, user session.UserID) (id string, known bool) {
	d, ok := h.device(r)
	if !ok {
		return "", false
	}
	for _, key := range h.devices {
		mac := d.mac(key, user)
		for _, held := range d.users {
			if hmac.Equal(mac, held) {
				return base64.RawURLEncoding.EncodeToString(d.id[:]) + "." + string(user), true
			}
		}
	}
	return "", false
}

func (d device) mac(key []byte, user session.UserID) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(d.id[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(user))))
	mac.Write([]byte(user))
	return mac.Sum(nil)
}

func (h *Handler) device(r *http.Request) (d device, ok bool) {
	value, err := cookie(r.Header, h.cookieName(r, deviceSuffix))
	if err != nil || len(value) > 1024 {
		return d, false
	}
	decoded, err := csrfText.DecodeString(value)
	if err != nil || len(decoded) < len(d.id) || (len(decoded)-len(d.id))%sha256.Size != 0 {
		return d, false
	}
	for rest := decoded[copy(d.id[:], decoded):]; len(rest) > 0; rest = rest[sha256.Size:] {
		d.users = append(d.users, rest[:sha256.Size])
	}
	return d, true
}

// rememberDevice puts the user first among those who the browser is known to.
func (h *Handler) rememberDevice(w http.ResponseWriter, r *http.Request, user session.UserID) {
	d, ok := h.device(r)
	if !ok {
		rand.Read(d.id[:])
	}
	own := d.mac(h.devices[0], user)
	value := append(d.id[:], own...)
	for _, held := range d.users {
		if !hmac.Equal(held, own) && len(value) < len(d.id)+deviceUsers*sha256.Size {
			value = append(value, held...)
		}
	}
	c := h.newCookie(r, deviceSuffix)
	c.Value, c.MaxAge = csrfText.EncodeToString(value), int(deviceAge/time.Second)
	http.SetCookie(w, c)
}
