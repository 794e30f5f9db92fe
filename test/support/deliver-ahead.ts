/** Two messages for one connection: the second is asked for while the content of the first goes out. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { DeliveryReport } from '../../src/model/grant.ts'
import type { Outcome } from '../../src/model/outcome.ts'
import type { Site } from '../../src/model/site.ts'
import { deliverRig, type MessageSpec, type Rig } from './deliver-rig.ts'
import type { Answer, Conversation, Script, ScriptedServer } from './scripted-server.ts'

const config = {
  ehloName: 'sender.example',
  connectionsPerSite: 20,
  connectionsMax: 100,
  recipientsPerTransaction: 100,
  messagesPerConnection: 100,
  idleConnectionMs: 15_000,
  tls: 'opportunistic',
  port: 25,
} as const

export const named = (name: string, more: MessageSpec = {}): MessageSpec => ({
  returnPath: `${name}@example.com`,
  recipients: [`r@${name}.example`],
  blocks: [`Subject: ${name}\r\n\r\n${name}\r\n`],
  ...more,
})
export const contentOf = (name: string): string => `Subject: ${name}\r\n\r\n${name}\r\n.\r\n`

/** Answers by "message command", "second MAIL" for example, each given once. Everything else is answered politely. */
export function once(
  answers: Record<string, Answer | Promise<Answer>>,
): (command: string, conversation: Conversation) => Answer | Promise<Answer> {
  const left = new Map(Object.entries(answers))
  return (command, { commands }) => {
    const mail = commands.findLast((line) => line.startsWith('MAIL')) ?? ''
    const key = `${mail.match(/<(\w+)@/)?.[1] ?? ''} ${command.split(/[ :]/)[0] ?? ''}`
    const answer = left.get(key)
    left.delete(key)
    return answer
  }
}

export interface Pair {
  readonly rig: Rig
  readonly server: ScriptedServer
  readonly site: Site
  readonly first: Promise<DeliveryReport>
  readonly second: Promise<DeliveryReport>
}

/** Two messages, of which the second waits until the first one's connection asks for it. */
export async function pair(
  t: TestContext,
  script: Script = {},
  change: {
    first?: MessageSpec
    second?: MessageSpec
    site?: Partial<Site>
    messagesPerConnection?: number
    connectionsMax?: number
  } = {},
): Promise<Pair> {
  const { messagesPerConnection = 100, connectionsMax = 100 } = change
  const rig = deliverRig(t, { config: { ...config, messagesPerConnection, connectionsMax } })
  const server = await rig.server(script)
  const site = rig.site(server.port, change.site)
  const second = rig.follow(site, named('second', change.second))
  const first = rig.send(site, named('first', change.first))
  return { rig, server, site, first, second }
}

const brief = ({ kind, stage, code }: Outcome): string => `${kind} ${stage} ${code}`
export const outcomes = async (report: Promise<DeliveryReport>): Promise<string> =>
  (await report).outcomes.map(brief).join(', ')

/** Both outcomes; there is one report for each, and no more. */
export async function both({ rig, first, second }: Pair): Promise<[string, string]> {
  const result: [string, string] = [await outcomes(first), await outcomes(second)]
  assert.equal(rig.reports.length, 2)
  return result
}

/** Every content that the server took, by connection. */
export const contents = ({ server }: Pair): string[][] =>
  server.conversations.map((conversation) => conversation.contents)
