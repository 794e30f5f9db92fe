/** Pressing the button behind a mailed link. */
import { PosthasteError } from '../kernel/errors.ts'
import type { Confirmation, Directory } from '../ports/directory.ts'

const outcomes: ReadonlyMap<string, 'unknown' | 'taken'> = new Map([
  ['sender_link_unknown', 'unknown'],
  ['sender_taken', 'taken'],
])

/** Never rejects. `onError` hears of what neither the person nor the tenant can cure. */
export async function confirmLink(
  directory: Pick<Directory, 'confirmSender'>,
  token: string,
  onError: (error: unknown) => void,
): Promise<Confirmation> {
  try {
    const { address } = await directory.confirmSender(token)
    return { outcome: 'confirmed', address }
  } catch (error) {
    const outcome = error instanceof PosthasteError ? outcomes.get(error.code) : undefined
    if (outcome === undefined) onError(error)
    return { outcome: outcome ?? 'later' }
  }
}
