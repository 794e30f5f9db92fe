/** What a request says about its message beside the content, checked by the rules that SMTP has for the same. */
import { type Failure, failures, httpFailures } from '../../model/failures.ts'
import {
  checkCampaign,
  checkExpiresIn,
  checkMetadata,
  checkStream,
  checkTag,
  checkTags,
  expiresInMsOf,
  metadataText,
} from '../../model/options-of-mail.ts'
import type { MailClass } from '../../model/submission.ts'
import type { Client, DirectoryClients } from '../../ports/clients.ts'
import { Problem } from './problem.ts'
import type { RawEmail } from './schemas.ts'

export interface MailOptions {
  readonly mailClass: MailClass
  readonly stream: string
  readonly campaign: string
  readonly tags: readonly string[]
  /** As it is kept. */
  readonly metadata: string
  /** 0: as the configuration says. */
  readonly expiresAtMs: number
}

type OptionsInput = Pick<RawEmail, 'tags' | 'metadata' | 'class' | 'stream' | 'campaign' | 'expires_in'>

/** Throws a Problem. */
export function readOptions(
  input: OptionsInput,
  client: Client,
  clients: DirectoryClients,
  nowMs: number,
): MailOptions {
  const { tags = [], metadata = {}, campaign = '', stream = '', expires_in } = input
  const wrongTag = tags.findIndex((tag) => checkTag(tag) !== null)
  if (wrongTag >= 0) refuse('tag', `/tags/${wrongTag}`, checkTag(tags[wrongTag] as string))
  refuse('tags', '/tags', checkTags(tags))
  refuse('metadata', '/metadata', checkMetadata(metadata))
  if (campaign !== '') refuse('campaign', '/campaign', checkCampaign(campaign))
  return {
    mailClass: input.class ?? streamClass(stream, client, clients) ?? 'transactional',
    stream,
    campaign,
    tags,
    metadata: metadataText(metadata),
    expiresAtMs: expires_in === undefined ? 0 : nowMs + expiresInMs(expires_in),
  }
}

/** Null without a stream. */
function streamClass(name: string, client: Client, clients: DirectoryClients): MailClass | null {
  if (name === '') return null
  refuse('stream', '/stream', checkStream(name))
  const stream = clients.stream(client, name)
  if (stream === null) throw new Problem(failures.streamUnknown, { pointer: '/stream' })
  return stream.mailClass
}

function expiresInMs(given: number | string): number {
  const ms = expiresInMsOf(String(given))
  if (ms === null) {
    throw new Problem(httpFailures.fieldInvalid, {
      pointer: '/expires_in',
      detail: 'expires_in is not a duration',
      cure: 'Give seconds as a number, or a duration such as "90m", "2h" or "3d".',
    })
  }
  refuse('expires_in', '/expires_in', checkExpiresIn(ms))
  return ms
}

function refuse(option: string, pointer: string, problem: string | null): void {
  if (problem === null) return
  const failure: Failure = failures.optionInvalid(option, problem)
  throw new Problem(failure, { pointer })
}
