/**
 * Returns a function that calls `run` so that at most one run is under way. Calls during a run lead to exactly one more
 * run after it. The returned promise settles when every run asked for so far has ended; if a run rejects, all of its
 * callers get the error and no further run follows.
 *
 * @param run Gets `startOver`: called before `run` reads its input again, it marks the calls so far as served, so that
 *   they lead to no further run.
 */
export function coalesce(run: (startOver: () => void) => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let isAskedAgain = false
  const startOver = () => {
    isAskedAgain = false
  }
  const runAll = async () => {
    try {
      do {
        startOver()
        await run(startOver)
      } while (isAskedAgain)
    } finally {
      // Here and not in a later microtask: a call in between would be lost.
      running = undefined
    }
  }
  return () => {
    isAskedAgain = true
    // One microtask later, so that `running` is set when `run` itself asks for another run.
    running ??= Promise.resolve().then(runAll)
    return running
  }
}
