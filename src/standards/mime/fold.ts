/** Header fields as lines: what may stand on one, and where it is folded (RFC 5322 §2.1.1, §2.2.3). */

/**
 * RFC 5322 §2.1.1 asks for 78 characters at most, RFC 2047 §2 for 76 on a line with an encoded word: so 76 everywhere. A token that
 * is longer stands on a line of its own.
 */
export const fieldColumns = 76
/** RFC 2047 §2. */
export const encodedWordCharacters = 75

/**
 * A field of these tokens, with its CRLF. A space, or a fold and a space, stands between any two: so a token is never broken, and a
 * fold never makes a line of white space. The first one stays beside the name, over which alone on a line some receivers stumble.
 */
export function foldedField(name: string, tokens: readonly string[]): string {
  let text = `${name}:`
  let column = text.length
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as string
    if (i > 0 && column + 1 + token.length > fieldColumns) {
      text += '\r\n'
      column = 0
    }
    text += ` ${token}`
    column += 1 + token.length
  }
  return `${text}\r\n`
}
