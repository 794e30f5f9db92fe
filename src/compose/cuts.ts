/**
 * Content without the header fields that spoke to us (`StoredMessage.cuts`): what is cut out is neither sent, nor signed, nor counted.
 *
 *   stored   |---kept---|/cut/|--kept--|/cut/|------------kept------------|
 *   sent     |---kept---|--kept--|------------kept------------|
 */
import { invariant } from '../kernel/assert.ts'
import type { ContentReader, StoredMessage } from './compose.ts'

/** The same message as if it had come without them. */
export function withoutCuts(message: StoredMessage): StoredMessage {
  const { content, contentBytes, cuts } = message
  const kept = keptParts(cuts, contentBytes)
  return {
    ...message,
    cuts: [],
    contentBytes: kept.reduce((sum, { from, to }) => sum + to - from, 0),
    content:
      content instanceof Uint8Array
        ? Buffer.concat(kept.map(({ from, to }) => content.subarray(from, to)))
        : new CutContent(content, kept),
  }
}

/** From … to in what is stored. */
interface Part {
  readonly from: number
  readonly to: number
}

function keptParts(cuts: readonly number[], contentBytes: number): Part[] {
  const kept: Part[] = []
  let from = 0
  for (let i = 0; i < cuts.length; i += 2) {
    const cutFrom = cuts[i] as number
    const cutTo = cuts[i + 1] ?? 0
    invariant(from <= cutFrom && cutFrom < cutTo && cutTo <= contentBytes, 'cuts rise and lie within the content')
    if (from < cutFrom) kept.push({ from, to: cutFrom })
    from = cutTo
  }
  if (from < contentBytes) kept.push({ from, to: contentBytes })
  return kept
}

/** Reads what was kept as if it were all there is. A block ends where a part does. */
class CutContent implements ContentReader {
  readonly #stored: ContentReader
  readonly #kept: readonly Part[]

  constructor(stored: ContentReader, kept: readonly Part[]) {
    this.#stored = stored
    this.#kept = kept
  }

  async read(position: number, bytesMax: number): Promise<Buffer> {
    let before = 0
    for (const { from, to } of this.#kept) {
      const at = from + position - before
      if (at < to) return await this.#stored.read(at, Math.min(bytesMax, to - at))
      before += to - from
    }
    return Buffer.alloc(0)
  }
}
