/**
 * A stamp "epoch.version.rev" orders what is heard about one session; under another handle it
 * means nothing. A higher epoch says that the server lost history: it wins over everything.
 */
type Stamp = readonly [epoch: number, version: number, rev: number];

function parse(text: string | undefined): Stamp | undefined {
  if (!text || !/^\d+\.\d+\.\d+$/.test(text)) return undefined;
  return text.split('.').map(Number) as unknown as Stamp;
}

/** Below 0: `a` is older. Above: newer. `undefined`: one of them is no stamp. */
export function compareStamps(a: string | undefined, b: string | undefined): number | undefined {
  const left = parse(a);
  const right = parse(b);
  if (!left || !right) return undefined;
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/**
 * Whether something lies between what is known and what is heard: a version was skipped, or the
 * session's counter and the person's did not rise together.
 */
export function leavesGap(known: string | undefined, heard: string | undefined): boolean {
  const before = parse(known);
  const now = parse(heard);
  if (!before || !now || before[0] !== now[0]) return false;
  const versions = now[1] - before[1];
  const revs = now[2] - before[2];
  return versions > 1 || versions * revs < 0;
}
