package pgstore

// inTurn runs do while the writer rests: tests use what is the writer's own.
func (w *writer) inTurn(do func()) {
	w.turn.Lock()
	defer w.turn.Unlock()
	do()
}
