/** RFC 5321 §4.1.1.2 and §4.1.1.3: MAIL and RCPT, read strictly, because this receiver is there to notice our mistakes. */

export interface PathCommand {
  readonly address: string
  readonly parameters: readonly string[]
}

/** A quoted local part may hold brackets and spaces; the alternatives share no first character, so this never backtracks far. */
const path = /^<((?:"(?:[^"\\]|\\.)*"|[^<>"\s])*)>(?: (\S.*))?$/

/** What follows "MAIL FROM:" or "RCPT TO:"; null when it is not a path with parameters. */
export function parsePath(line: string, prefix: 'MAIL FROM:' | 'RCPT TO:'): PathCommand | null {
  if (line.slice(0, prefix.length).toUpperCase() !== prefix) return null
  const match = path.exec(line.slice(prefix.length))
  if (match === null) return null
  return { address: match[1] as string, parameters: match[2] === undefined ? [] : match[2].split(' ') }
}

/** The reply that refuses these parameters, or null. */
export function parameterRefusal(
  command: PathCommand,
  offered: ReadonlySet<string>,
  sizeBytesMax: number,
): string | null {
  for (const parameter of command.parameters) {
    const equals = parameter.indexOf('=')
    const name = (equals === -1 ? parameter : parameter.slice(0, equals)).toUpperCase()
    // RFC 5321 §4.1.1.11
    if (!offered.has(name)) return `555 5.5.4 ${name} was not offered\r\n`
    // RFC 1870 §6.1
    if (name === 'SIZE' && Number(parameter.slice(5)) > sizeBytesMax) return '552 5.3.4 message too big\r\n'
  }
  return null
}
