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

/** RFC 3461 §4; the original recipient of type utf-8 by RFC 6533 §3. In capitals and in this order, as we write them. */
const dsnForms: ReadonlyMap<string, RegExp> = new Map([
  ['RET', /^(FULL|HDRS)$/],
  ['ENVID', /^(?=.{1,100}$)([!-*,-<>-~]|\+[0-9A-F]{2})+$/],
  ['NOTIFY', /^(NEVER|SUCCESS(,FAILURE)?(,DELAY)?|FAILURE(,DELAY)?|DELAY)$/],
  ['ORCPT', /^(?=.{1,500}$)(?!utf-8)[A-Za-z0-9-]+;([!-*,-<>-~]|\+[0-9A-F]{2})+$|^(?=.{1,500}$)utf-8;[^\s+=]+$/],
])

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
    // RFC 3461 §4
    if (dsnForms.get(name)?.test(parameter.slice(name.length + 1)) === false)
      return `501 5.5.4 ${name} is malformed\r\n`
  }
  return null
}
