/** What a message has of its stream where it says nothing itself. */
import { tagsMax } from '../model/limits.ts'
import type { StreamDefaults } from '../ports/directory.ts'

/** Its own tags come first, and those of the stream as far as there is room. */
export function withDefaults<T extends StreamDefaults>(options: T, defaults: StreamDefaults): T {
  const tags = [...new Set([...options.tags, ...defaults.tags])]
  return {
    ...options,
    expiresInMs: options.expiresInMs === 0 ? defaults.expiresInMs : options.expiresInMs,
    tags: tags.slice(0, tagsMax.value),
    campaign: options.campaign === '' ? defaults.campaign : options.campaign,
  }
}
