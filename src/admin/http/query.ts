/** What stands behind the question mark. */
import { PosthasteError } from '../../kernel/errors.ts'
import { pageMessagesMax } from '../limits.ts'

/** How many, at most a page; `left` is what it is when nothing is said. */
export function readLimit(written: unknown, left: number): number {
  if (written === undefined) return left
  const count = typeof written === 'string' && /^\d{1,9}$/.test(written) ? Number(written) : 0
  if (count > 0) return Math.min(count, pageMessagesMax.value)
  throw new PosthasteError('bad_limit', 'limit is not a whole number', `Use 1 to ${pageMessagesMax.value}.`)
}

export function readText(query: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = query[name]
  if (value === undefined || typeof value === 'string') return value
  throw new PosthasteError('repeated_parameter', `${name} is given twice`, 'Give it once.')
}
