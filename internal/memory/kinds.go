package memory

// kinds holds each kind once, for as long as a snapshot is of it. The zero value is
// ready for use.
type kinds struct {
	list  []heldKind
	index map[Kind]uint16 // into list
	free  []uint16
}

type heldKind struct {
	kind     Kind
	sessions int
}

func (k *kinds) hold(kind Kind) uint16 {
	i, ok := k.index[kind]
	if !ok {
		if k.index == nil {
			k.index = map[Kind]uint16{}
		}
		if n := len(k.free); n > 0 {
			i, k.free = k.free[n-1], k.free[:n-1]
		} else {
			i = uint16(len(k.list))
			k.list = append(k.list, heldKind{})
		}
		k.index[kind], k.list[i].kind = i, kind
	}
	k.list[i].sessions++
	return i
}

func (k *kinds) release(i uint16) {
	held := &k.list[i]
	if held.sessions--; held.sessions == 0 {
		delete(k.index, held.kind)
		*held = heldKind{}
		k.free = append(k.free, i)
	}
}
