/** Facts that few messages have, in one column: null for most. */
import type { SubmissionFacts } from '../model/submission.ts'

type More = Pick<SubmissionFacts, 'stream' | 'campaign' | 'tags' | 'metadata' | 'credentialId'>

export function moreOf({ stream, campaign, tags, metadata, credentialId }: More): string | null {
  if (stream === '' && campaign === '' && tags.length === 0 && metadata === '' && credentialId === '') return null
  return JSON.stringify([stream, campaign, metadata, credentialId, ...tags])
}

export function readMore(text: string | null): More {
  const [stream = '', campaign = '', metadata = '', credentialId = '', ...tags] =
    text === null ? [] : (JSON.parse(text) as string[])
  return { stream, campaign, tags, metadata, credentialId }
}
