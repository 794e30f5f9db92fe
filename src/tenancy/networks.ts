/** What belongs to networks, found by an address in them. */
import { type IpAddress, leading, type Network, samePrefix } from '../standards/network.ts'

interface Entry<T> {
  readonly words: readonly number[]
  value: T
}

/** Networks of one length, by a hash of their bits. */
interface Length<T> {
  readonly prefix: number
  readonly entries: Map<number, Entry<T>[]>
}

/**
 * As many tables as there are lengths in use, asked from the longest down: 33 for IPv4 at most, 129 for IPv6, and a handful in practice. A
 * change touches one of them.
 */
export class NetworkMap<T> {
  readonly #ipv4: Length<T>[] = []
  readonly #ipv6: Length<T>[] = []

  /** Of exactly this network. */
  get(network: Network): T | undefined {
    const length = this.#lengthsOf(network).find(({ prefix }) => prefix === network.prefix)
    return length === undefined ? undefined : entryIn(length, network.words)?.value
  }

  set(network: Network, value: T): void {
    const { words, prefix } = network
    const lengths = this.#lengthsOf(network)
    let length = lengths.find((one) => one.prefix === prefix)
    if (length === undefined) {
      length = { prefix, entries: new Map() }
      lengths.push(length)
      lengths.sort((one, other) => other.prefix - one.prefix)
    }
    const known = entryIn(length, words)
    if (known !== undefined) {
      known.value = value
      return
    }
    const key = keyOf(words, prefix)
    length.entries.set(key, [...(length.entries.get(key) ?? []), { words, value }])
  }

  delete(network: Network): void {
    const { words, prefix } = network
    const lengths = this.#lengthsOf(network)
    const at = lengths.findIndex((one) => one.prefix === prefix)
    const length = lengths[at]
    if (length === undefined) return
    const key = keyOf(words, prefix)
    const others = (length.entries.get(key) ?? []).filter((entry) => !samePrefix(entry.words, words, prefix))
    if (others.length > 0) length.entries.set(key, others)
    else length.entries.delete(key)
    if (length.entries.size === 0) lengths.splice(at, 1)
  }

  /** Of the most specific network that holds the address. */
  find(address: IpAddress): T | undefined {
    for (const length of this.#lengthsOf(address)) {
      const entry = entryIn(length, address.words)
      if (entry !== undefined) return entry.value
    }
    return undefined
  }

  #lengthsOf({ words }: IpAddress): Length<T>[] {
    return words.length === 1 ? this.#ipv4 : this.#ipv6
  }
}

function entryIn<T>({ prefix, entries }: Length<T>, words: readonly number[]): Entry<T> | undefined {
  const alike = entries.get(keyOf(words, prefix))
  if (alike === undefined) return undefined
  for (const entry of alike) if (samePrefix(entry.words, words, prefix)) return entry
  return undefined
}

/** Of its first bits: a mix, in which those of IPv4 stay themselves. */
function keyOf(words: readonly number[], prefix: number): number {
  let key = 0
  for (let index = 0; index * 32 < prefix; index++) {
    key = Math.imul(key ^ (key >>> 15), 0x2c1b_3c6d) ^ leading(words[index] as number, prefix - 32 * index)
  }
  return key | 0
}
