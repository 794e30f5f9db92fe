/** The kinds of text that options take: names, addresses, networks. Each gives the form the program uses, or what is wrong. */
import { isIP, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import { parsePath } from '../standards/address.ts'
import { nameCharactersMax } from '../standards/limits.ts'
import { parseNetwork } from '../standards/network.ts'
import { lineCharactersMax } from './limits.ts'
import type { TextFormat } from './options.ts'
import { bad, good, show, type Parsed } from './parsed.ts'

export const formats: Record<TextFormat, (text: string) => Parsed> = {
  hostname(text) {
    const name = asciiDomain(text)
    if (name === null) return bad(`${show(text)} is not a host name`, 'Write a full name such as mail.example.com.')
    // RFC 5321 §2.3.5: only fully qualified names; receivers refuse "mail".
    if (!name.includes('.') && name !== 'localhost')
      return bad(`${show(text)} has no domain`, 'Write the full name, such as mail.example.com.')
    return good(name)
  },
  domain(text) {
    const name = asciiDomain(text)
    return name === null ? bad(`${show(text)} is not a domain`, 'Write a domain such as example.com.') : good(name)
  },
  routeDomain(text) {
    if (text === '*') return good(text)
    const name = asciiDomain(text.startsWith('*.') ? text.slice(2) : text)
    if (name === null)
      return bad(
        `${show(text)} is not a domain`,
        'Write example.com, *.example.com for its children, or "*" for everything.',
      )
    return good(text.startsWith('*.') ? `*.${name}` : name)
  },
  host(text) {
    const address = withoutBrackets(text)
    if (isIP(address) !== 0) return good(address)
    const name = asciiDomain(text)
    return name === null
      ? bad(
          `${show(text)} is neither a host name nor an IP address`,
          'Write relay.example.com or 192.0.2.1; the port goes into port.',
        )
      : good(name)
  },
  address(text) {
    const address = withoutBrackets(text)
    if (isIP(address) !== 0) return good(address)
    const meant = text === 'localhost' ? '127.0.0.1' : '127.0.0.1, 0.0.0.0 or ::'
    return bad(`${show(text)} is not an IP address`, `Write an address such as ${meant}; the port goes into port.`)
  },
  mailbox(text) {
    const path = parsePath(`<${text}>`, 0)
    if (path.problem === null && path.mailbox?.address === text && path.mailbox.ascii && !path.mailbox.literal)
      return good(text)
    return bad(`${show(text)} is not a mail address`, 'Write local@domain, such as postmaster@example.com.')
  },
  network(text) {
    const network = parseNetwork(text)
    if (network === null)
      return bad(`${show(text)} is not a network`, 'Write address/prefix length, such as 10.0.0.0/8 or 2001:db8::/32.')
    if (network.prefix === 0)
      return bad(`${show(text)} is everybody: an open relay`, 'Name the networks of your own senders.')
    return good(network.cidr)
  },
  dnsServer(text) {
    const [host = '', port, ...rest] = text.split('#')
    const address = withoutBrackets(host)
    const sound =
      isIP(address) !== 0 &&
      rest.length === 0 &&
      (port === undefined || (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535))
    if (!sound)
      return bad(
        `${show(text)} is not a resolver`,
        'Write its IP address, or address#port: 127.0.0.1 or 127.0.0.1#5353.',
      )
    return good(port === undefined ? address : `${address}#${Number(port)}`)
  },
  name(text) {
    if (/^[a-z0-9][a-z0-9_-]{0,62}$/.test(text)) return good(text)
    return bad(`${show(text)} cannot be a name`, 'Use up to 63 of a–z, 0–9, - and _, beginning with a letter or digit.')
  },
  selector(text) {
    // RFC 6376 §3.1: selectors may have dots; each part is a DNS label.
    if (/^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?){0,8}$/i.test(text))
      return good(text.toLowerCase())
    return bad(`${show(text)} is not a selector`, 'Use letters, digits and dashes, such as mail2026.')
  },
  line(text) {
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    if (text !== '' && text.length <= lineCharactersMax.value && !/[\u0000-\u001f\u007f]/.test(text)) return good(text)
    return bad(`${show(text)} is empty, too long or has control characters`, 'Write one line of 1 to 255 characters.')
  },
}

/** Lower-case A-labels (RFC 5890 §2.3.2.1), without a root dot; null when it is no domain. */
function asciiDomain(text: string): string | null {
  if (!/^[\p{L}\p{M}\p{N}.-]+$/u.test(text) || isIP(text) !== 0) return null
  const name = domainToASCII(text.endsWith('.') ? text.slice(0, -1) : text)
  if (name === '' || name.length > nameCharactersMax.value) return null
  return name.split('.').every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) ? name : null
}

function withoutBrackets(text: string): string {
  return text.startsWith('[') && text.endsWith(']') && isIPv6(text.slice(1, -1)) ? text.slice(1, -1) : text
}
