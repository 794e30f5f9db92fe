/**
 * The conversation with a remote server as a table (RFC 5321 §4.3.2): in each state, what we send and how its replies are judged (one
 * file per step), how long the server may take (§4.5.3.2), and what may follow. Any state may also end in `closed`.
 *
 *   connect → greeting → ehlo ─────────────────────────┬→ auth* → idle ⇄ prepare → envelope → content → final → idle
 *                         ├→ helo ─────────────────────┤                              └→ void → reset → idle
 *                         └→ starttls → handshake → ehlo                    idle → quit      final → ahead → content | void | reset
 *
 * A connection is in exactly one state, and the state is its only memory of where the conversation stands.
 */
import type { DialogueStage } from '../model/outcome.ts'
import type { Connection } from './connection.ts'
import type { Reply } from '../standards/smtp-reply.ts'
import { auth, authPassword, authUser } from './steps/auth.ts'
import { content, final, voidContent } from './steps/content.ts'
import { ehlo, helo } from './steps/ehlo.ts'
import { ahead, envelope } from './steps/envelope.ts'
import { connect, greeting } from './steps/greeting.ts'
import { idle, quit, reset } from './steps/idle.ts'
import { prepare } from './steps/prepare.ts'
import { handshake, starttls } from './steps/starttls.ts'

export type State =
  | 'connect'
  | 'greeting'
  | 'ehlo'
  | 'helo'
  | 'starttls'
  | 'handshake'
  | 'auth'
  | 'authUser'
  | 'authPassword'
  | 'idle'
  | 'prepare'
  | 'envelope'
  | 'content'
  | 'final'
  | 'ahead'
  | 'void'
  | 'reset'
  | 'quit'
  | 'closed'

export interface Step {
  /** Sends the command group of the state. */
  begin(connection: Connection): void
  /** Judges the next reply: the state that follows, or null while more is due or when the conversation was ended here. */
  reply(connection: Connection, reply: Reply): State | null
  /** The socket takes more bytes again. */
  drained?(connection: Connection): void
}

interface Row {
  readonly step: Step
  /** From sending to each whole reply. Idle: the configuration's idle time counts instead when it is shorter. */
  readonly replyMsMax: number
  /** Where a failure in this state happened, as the outcome says it. The envelope refines it. */
  readonly stage: DialogueStage
  readonly next: readonly State[]
}

const ready = ['auth', 'idle'] as const

// biome-ignore format: a table
export const dialogue: Readonly<Record<Exclude<State, 'closed'>, Row>> = {
  connect:      { step: connect,      replyMsMax: 30_000,  stage: 'connect',  next: ['greeting'] },
  greeting:     { step: greeting,     replyMsMax: 300_000, stage: 'greeting', next: ['ehlo'] },              // §4.5.3.2.1
  ehlo:         { step: ehlo,         replyMsMax: 300_000, stage: 'ehlo',     next: ['helo', 'starttls', ...ready] },
  helo:         { step: helo,         replyMsMax: 300_000, stage: 'ehlo',     next: ready },
  starttls:     { step: starttls,     replyMsMax: 120_000, stage: 'starttls', next: ['handshake', ...ready] },
  handshake:    { step: handshake,    replyMsMax: 60_000,  stage: 'starttls', next: ['ehlo'] },
  auth:         { step: auth,         replyMsMax: 60_000,  stage: 'auth',     next: ['authUser', 'idle'] },
  authUser:     { step: authUser,     replyMsMax: 60_000,  stage: 'auth',     next: ['authPassword'] },
  authPassword: { step: authPassword, replyMsMax: 60_000,  stage: 'auth',     next: ['idle'] },
  idle:         { step: idle,         replyMsMax: 300_000, stage: 'mail',     next: ['prepare', 'quit'] },
  prepare:      { step: prepare,      replyMsMax: 60_000,  stage: 'mail',     next: ['envelope', 'idle'] },   // our own disk
  envelope:     { step: envelope,     replyMsMax: 300_000, stage: 'mail',     next: ['content', 'void', 'reset'] }, // §4.5.3.2.2–4
  content:      { step: content,      replyMsMax: 180_000, stage: 'content',  next: ['final'] },              // §4.5.3.2.5, per block
  final:        { step: final,        replyMsMax: 600_000, stage: 'final',    next: ['idle', 'ahead'] },      // §4.5.3.2.6
  ahead:        { step: ahead,        replyMsMax: 300_000, stage: 'mail',     next: ['content', 'void', 'reset'] }, // an envelope that is out already
  void:         { step: voidContent,  replyMsMax: 60_000,  stage: 'final',    next: ['reset'] },
  reset:        { step: reset,        replyMsMax: 30_000,  stage: 'mail',     next: ['idle'] },               // outcomes wait for it
  quit:         { step: quit,         replyMsMax: 5_000,   stage: 'mail',     next: [] },
}
