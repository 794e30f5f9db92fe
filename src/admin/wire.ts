/** Names on the wire are snake_case, in the program camelCase; both directions, for our own views only. */

/** "acceptedPerSecond1m" → "accepted_per_second_1m". */
const snake = (name: string): string => name.replaceAll(/[A-Z]|(?<=[a-z])\d+/g, (part) => `_${part.toLowerCase()}`)

const camel = (name: string): string => name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

export function toWire(view: unknown): unknown {
  return rename(view, snake)
}

export function fromWire(body: unknown): unknown {
  return rename(body, camel)
}

function rename(value: unknown, name: (key: string) => string): unknown {
  if (Array.isArray(value)) return value.map((entry) => rename(entry, name))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [name(key), rename(child, name)]))
}
