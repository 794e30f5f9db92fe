/** Enhanced status codes (RFC 3463; registry RFC 5248), as they stand at the front of a reply's text (RFC 2034 §4). */

const DOT = 46
const SPACE = 32

/**
 * Length of the status code that `text` begins with, 0 when there is none: class "." subject "." detail, where class is 2, 4 or 5
 * and the others are 0 … 999 (RFC 3463 §2), followed by a space or the end.
 */
export function statusLength(text: string): number {
  const statusClass = text.charCodeAt(0)
  if ((statusClass !== 50 && statusClass !== 52 && statusClass !== 53) || text.charCodeAt(1) !== DOT) return 0
  const subjectEnd = digitsEnd(text, 2)
  if (subjectEnd === 2 || text.charCodeAt(subjectEnd) !== DOT) return 0
  const detailEnd = digitsEnd(text, subjectEnd + 1)
  if (detailEnd === subjectEnd + 1) return 0
  return detailEnd === text.length || text.charCodeAt(detailEnd) === SPACE ? detailEnd : 0
}

function digitsEnd(text: string, start: number): number {
  let at = start
  while (at < start + 3 && isDigit(text.charCodeAt(at))) at++
  return at
}

function isDigit(character: number): boolean {
  return character >= 48 && character <= 57
}

/** What a basic code says when no enhanced code came with it. A code that may mean several things gives x.0.0. */
const statusOfCode = new Map<number, string>([
  [421, '4.3.2'],
  [432, '4.7.12'],
  [450, '4.2.0'],
  [451, '4.3.0'],
  [452, '4.3.1'],
  [454, '4.7.0'],
  [455, '4.5.4'],
  [500, '5.5.2'],
  [501, '5.5.4'],
  [502, '5.5.1'],
  [503, '5.5.1'],
  [504, '5.5.4'],
  [521, '5.3.2'],
  [530, '5.7.0'],
  [534, '5.7.9'],
  [535, '5.7.8'],
  [538, '5.7.11'],
  [551, '5.1.6'],
  [552, '5.2.2'],
  [553, '5.1.3'],
  [555, '5.5.4'],
  [556, '5.1.10'],
])

/** An enhanced code for a basic code from 200 to 599, of the same class. 3yz has no class of its own and counts as 4. */
export function deriveStatus(code: number): string {
  return statusOfCode.get(code) ?? (code < 300 ? '2.0.0' : code < 500 ? '4.0.0' : '5.0.0')
}
