/** What a request says about its message beside the content, checked by the rules that SMTP has for the same. */
import { type Failure, failures, httpFailures } from '../../model/failures.ts'
import {
  campaignCharactersMax,
  metadataKeyCharactersMax,
  metadataKeysMax,
  tagCharactersMax,
  tagsMax,
} from '../../model/limits.ts'
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
import type { Client, Clients, ClientStream } from '../../ports/clients.ts'
import { withDefaults } from '../stream-defaults.ts'
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
  readonly expiresInMs: number
}

type OptionsInput = Pick<RawEmail, 'tags' | 'metadata' | 'class' | 'stream' | 'campaign' | 'expires_in'>

/** Throws a Problem. */
export function readOptions(input: OptionsInput, client: Client, clients: Clients): MailOptions {
  const { tags = [], metadata = {}, campaign = '', stream: name = '', expires_in } = input
  const wrongTag = tags.findIndex((tag) => checkTag(tag) !== null)
  if (wrongTag >= 0) refuse('tag', `/tags/${wrongTag}`, checkTag(tags[wrongTag] as string))
  refuse('tags', '/tags', checkTags(tags))
  refuse('metadata', '/metadata', checkMetadata(metadata))
  if (campaign !== '') refuse('campaign', '/campaign', checkCampaign(campaign))
  const stream = name === '' ? null : streamOf(name, client, clients)
  const options: MailOptions = {
    mailClass: input.class ?? stream?.mailClass ?? 'transactional',
    stream: name,
    campaign,
    tags,
    metadata: metadataText(metadata),
    expiresInMs: expires_in === undefined ? 0 : expiresInMs(expires_in),
  }
  return stream === null ? options : withDefaults(options, stream.defaults)
}

function streamOf(name: string, client: Client, clients: Clients): ClientStream {
  refuse('stream', '/stream', checkStream(name))
  const stream = clients.stream(client, name)
  if (stream === null) throw new Problem(failures.streamUnknown, { pointer: '/stream' })
  return stream
}

function expiresInMs(given: number | string): number {
  const ms = expiresInMsOf(String(given))
  if (ms === null) {
    const detail = 'expires_in is not a duration'
    throw new Problem(httpFailures.fieldInvalid, { pointer: '/expires_in', detail, cure: cures.expires_in })
  }
  refuse('expires_in', '/expires_in', checkExpiresIn(ms))
  return ms
}

const cures = {
  tag: `Give words of up to ${tagCharactersMax.value} characters, without commas.`,
  tags: `Give up to ${tagsMax.value} different ones.`,
  metadata: `Give up to ${metadataKeysMax.value} strings by keys of up to ${metadataKeyCharactersMax.value} letters, digits, "_", "." and "-".`,
  campaign: `Give a name of up to ${campaignCharactersMax.value} characters.`,
  stream: 'Name one of the streams of the tenant.',
  expires_in: 'Give seconds as a number, or a duration such as "90m", "2h" or "3d".',
}

function refuse(option: keyof typeof cures, pointer: string, problem: string | null): void {
  if (problem === null) return
  const failure: Failure = failures.optionInvalid(option, problem)
  throw new Problem(failure, { pointer, cure: cures[option] })
}
