/** Randomness, as the only place that asks the machine for it. A simulation hands out a seeded one and prints the seed. */
import { randomFillSync } from 'node:crypto'

export interface Random {
  /** Fills the whole array. */
  fill(bytes: Uint8Array): void
  /** 0 … 2³²−1, evenly. */
  uint32(): number
  /** 0 ≤ x < 1. */
  fraction(): number
}

const pool = new Uint32Array(1024)
let poolNext = pool.length

/** Cryptographic, from a refilled pool: one system call per thousand numbers. */
export const systemRandom: Random = {
  fill: (bytes) => void randomFillSync(bytes),
  uint32() {
    if (poolNext === pool.length) {
      randomFillSync(pool)
      poolNext = 0
    }
    return pool[poolNext++] as number
  },
  fraction: () => systemRandom.uint32() / 2 ** 32,
}

/** Repeatable and fast, for simulations only (Tommy Ettinger's mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const uint32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  return {
    uint32,
    fraction: () => uint32() / 2 ** 32,
    fill(bytes) {
      for (let i = 0; i < bytes.length; i++) bytes[i] = uint32() & 0xff
    },
  }
}
