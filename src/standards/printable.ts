/** Text from outside as one line that can do no harm: in a header, in a report, on a terminal. */

/** C0, DEL and C1; line separators; what shows the rest of a line backwards (Unicode TR #36 §3.5); halves of surrogate pairs. */
const harmful = /[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]/gu

/** One "?" for each character that is none to be shown. */
export function printable(text: string): string {
  return /^[ -~]*$/.test(text) ? text : text.replace(harmful, '?')
}

/** The same in ASCII: anything else as RFC 6533 §3 writes it, `\x{E4}`. */
export function printableAscii(text: string): string {
  return printable(text).replace(
    /[^ -~]/gu,
    (character) => `\\x{${(character.codePointAt(0) as number).toString(16).toUpperCase()}}`,
  )
}
