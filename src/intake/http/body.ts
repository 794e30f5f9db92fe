/**
 * The body of a request, gathered into one buffer that grows with what arrives, never with what was announced. What is refused is read on
 * without being kept, so that the client, which writes first and listens then, hears the answer.
 */
import type { IncomingMessage } from 'node:http'
import { createGunzip, type Gunzip } from 'node:zlib'
import { KiB } from '../../kernel/units.ts'
import { type HttpFailure, httpFailures } from '../../model/failures.ts'
import { oversizeFactorMax, unpackerBytes } from './limits.ts'
import type { BodyMemory } from './memory.ts'
import { Problem } from './problem.ts'

export interface Body {
  readonly bytes: Buffer
  /** To be given back to the memory once the request is done with. */
  readonly heldBytes: number
}

/** Rejects with a Problem; then nothing is held. */
export function readBody(
  request: IncomingMessage,
  memory: BodyMemory,
  tenant: string,
  bytesMax: number,
): Promise<Body> {
  return new Promise((resolve, reject) => new BodyReader(request, memory, tenant, bytesMax, resolve, reject).start())
}

const firstBytes = 4 * KiB

class BodyReader {
  readonly #request: IncomingMessage
  readonly #memory: BodyMemory
  readonly #tenant: string
  readonly #bytesMax: number
  readonly #resolve: (body: Body) => void
  readonly #reject: (problem: Problem) => void
  #gunzip: Gunzip | null = null
  #buffer = Buffer.alloc(0)
  #bytes = 0
  #wireBytes = 0
  #failure: HttpFailure | null = null
  #over = false

  constructor(
    request: IncomingMessage,
    memory: BodyMemory,
    tenant: string,
    bytesMax: number,
    resolve: (body: Body) => void,
    reject: (problem: Problem) => void,
  ) {
    this.#request = request
    this.#memory = memory
    this.#tenant = tenant
    this.#bytesMax = bytesMax
    this.#resolve = resolve
    this.#reject = reject
  }

  start(): void {
    const request = this.#request
    const announced = Number(request.headers['content-length'] ?? 0)
    // Packed bytes are as long as unpacked ones at least, but for a few.
    if (announced > this.#bytesMax) this.#fail(httpFailures.bodyTooBig(this.#bytesMax))
    if (announced > this.#bytesMax * oversizeFactorMax.value) return this.#end(true)
    // RFC 9112 §6.1. What is in front of us may have unpacked it, or taken its end to be elsewhere: nothing behind it is believed.
    const transfer = request.headers['transfer-encoding']?.trim().toLowerCase() ?? 'chunked'
    if (transfer !== 'chunked') {
      this.#fail(httpFailures.contentEncodingUnknown)
      return this.#end(true)
    }
    const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
    if (encoding === 'gzip' || encoding === 'x-gzip') this.#unpack()
    else if (encoding !== 'identity' && encoding !== '') this.#fail(httpFailures.contentEncodingUnknown)
    request.on('data', (chunk: Buffer) => this.#arrived(chunk))
    request.on('end', () => this.#wireEnded())
    request.on('error', () => this.#lost())
    request.on('close', () => this.#lost())
  }

  #unpack(): void {
    if (this.#failure !== null) return
    if (!this.#reserve(unpackerBytes.value)) return
    const gunzip = createGunzip()
    this.#gunzip = gunzip
    gunzip.on('data', (chunk: Buffer) => this.#take(chunk))
    gunzip.on('end', () => this.#end(false))
    gunzip.on('drain', () => this.#request.resume())
    gunzip.on('error', () => this.#fail(httpFailures.gzipMalformed))
  }

  #arrived(chunk: Buffer): void {
    if (this.#over) return
    this.#wireBytes += chunk.length
    if (this.#wireBytes > this.#bytesMax * oversizeFactorMax.value) return this.#end(true)
    if (this.#failure !== null) return
    if (this.#gunzip === null) this.#take(chunk)
    else if (!this.#gunzip.write(chunk)) this.#request.pause()
  }

  #take(chunk: Buffer): void {
    if (this.#failure !== null) return
    const bytes = this.#bytes + chunk.length
    if (bytes > this.#bytesMax) return this.#fail(httpFailures.bodyTooBig(this.#bytesMax))
    if (bytes > this.#buffer.length && !this.#grow(bytes)) return
    chunk.copy(this.#buffer, this.#bytes)
    this.#bytes = bytes
  }

  /** False: it has failed. */
  #reserve(bytes: number): boolean {
    const heldBytes = this.#buffer.length + (this.#gunzip === null ? 0 : unpackerBytes.value)
    const failure = this.#memory.reserve(this.#tenant, bytes, heldBytes)
    if (failure !== null) this.#fail(failure)
    return failure === null
  }

  #release(bytes: number): void {
    this.#memory.release(this.#tenant, bytes)
  }

  /** False: it has failed. */
  #grow(bytes: number): boolean {
    const old = this.#buffer
    const announced = this.#gunzip === null ? Number(this.#request.headers['content-length'] ?? 0) : 0
    const doubled = Math.max(firstBytes, bytes, 2 * old.length)
    const size = announced >= bytes ? Math.min(announced, doubled) : Math.min(this.#bytesMax, doubled)
    if (!this.#reserve(size)) return false
    this.#buffer = Buffer.allocUnsafeSlow(size)
    old.copy(this.#buffer, 0, 0, this.#bytes)
    this.#release(old.length)
    return true
  }

  #wireEnded(): void {
    if (this.#gunzip !== null && this.#failure === null) this.#gunzip.end()
    else this.#end(false)
  }

  #lost(): void {
    if (this.#over || this.#request.readableEnded) return
    this.#fail(httpFailures.bodyIncomplete)
    this.#end(true)
  }

  /** No more of it is kept. */
  #fail(failure: HttpFailure): void {
    if (this.#failure !== null) return
    this.#failure = failure
    this.#release(this.#buffer.length)
    this.#buffer = Buffer.alloc(0)
    if (this.#gunzip !== null) this.#release(unpackerBytes.value)
    this.#gunzip?.destroy()
    this.#gunzip = null
    if (this.#request.readableEnded) this.#end(false)
    else this.#request.resume()
  }

  #end(close: boolean): void {
    if (this.#over) return
    this.#over = true
    if (close) this.#fail(httpFailures.bodyTooBig(this.#bytesMax))
    if (this.#gunzip !== null) this.#release(unpackerBytes.value)
    if (this.#failure !== null) this.#reject(new Problem(this.#failure, { close }))
    else this.#resolve({ bytes: this.#buffer.subarray(0, this.#bytes), heldBytes: this.#buffer.length })
  }
}
