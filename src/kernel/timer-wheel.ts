/**
 * A hierarchical timer wheel over numbered things (slots) that link themselves: no allocation per timer, whatever the number of them.
 *
 *   level 0   256 buckets of 1 s      level 1   256 of 256 s      level 2   256 of 65,536 s (194 days in all)
 *
 * A bucket is a list through the owner's `next` column. When level 0 has gone round, one bucket of level 1 is spread over it, and so on
 * (Varghese and Lauck). Accuracy is one second, which is plenty for retries of minutes.
 */
const levelBits = 8
const bucketsPerLevel = 1 << levelBits
const levels = 3
export const none = 0xffffffff

export class TimerWheel {
  readonly #heads = new Uint32Array(bucketsPerLevel * levels).fill(none)
  /** Slots on each level: over an empty one time passes at a stride. */
  readonly #filed = [0, 0, 0]
  #nowSecond: number
  #size = 0

  constructor(nowMs: number) {
    this.#nowSecond = Math.floor(nowMs / 1000)
  }

  get size(): number {
    return this.#size
  }

  /** Files `slot` under its due time; what is due already fires with the next advance. The slot's `next` link belongs to the wheel until then. */
  add(slot: number, dueMs: number, next: Uint32Array): void {
    this.#size += 1
    this.#file(slot, Math.max(this.#nowSecond + 1, Math.ceil(dueMs / 1000)), next)
  }

  /** Fires everything due by `nowMs`, in order of seconds. `dueMsOf` tells a slot's due time when its bucket is spread. */
  advance(nowMs: number, next: Uint32Array, dueMsOf: (slot: number) => number, fire: (slot: number) => void): void {
    const end = Math.floor(nowMs / 1000)
    while (this.#nowSecond < end) {
      if (this.#size === 0) {
        this.#nowSecond = end
        return
      }
      const stride = this.#filed[0] !== 0 ? 1 : 2 ** (levelBits * (this.#filed[1] !== 0 ? 1 : 2))
      this.#nowSecond = Math.min(end, (Math.floor(this.#nowSecond / stride) + 1) * stride)
      for (let level = levels - 1; level > 0; level--) {
        if (this.#nowSecond % 2 ** (levelBits * level) !== 0) continue
        this.#take(level, next, (slot) =>
          this.#file(slot, Math.max(this.#nowSecond, Math.ceil(dueMsOf(slot) / 1000)), next),
        )
      }
      this.#take(0, next, (slot) => {
        this.#size -= 1
        fire(slot)
      })
    }
  }

  #bucket(level: number, second: number): number {
    return level * bucketsPerLevel + (Math.floor(second / 2 ** (levelBits * level)) % bucketsPerLevel)
  }

  #file(slot: number, dueSecond: number, next: Uint32Array): void {
    const distance = dueSecond - this.#nowSecond
    const level = distance < 2 ** levelBits ? 0 : distance < 2 ** (2 * levelBits) ? 1 : 2
    // Beyond the wheel's reach: the last bucket spreads it again, because its due time is looked up anew.
    const reach = this.#nowSecond + (bucketsPerLevel - 1) * 2 ** (2 * levelBits)
    const bucket = this.#bucket(level, Math.min(dueSecond, reach))
    this.#filed[level] = (this.#filed[level] as number) + 1
    next[slot] = this.#heads[bucket] as number
    this.#heads[bucket] = slot
  }

  /** Empties the level's bucket of this second. */
  #take(level: number, next: Uint32Array, each: (slot: number) => void): void {
    const bucket = this.#bucket(level, this.#nowSecond)
    let slot = this.#heads[bucket] as number
    this.#heads[bucket] = none
    while (slot !== none) {
      const following = next[slot] as number
      this.#filed[level] = (this.#filed[level] as number) - 1
      each(slot)
      slot = following
    }
  }
}
