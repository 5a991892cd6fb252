/** The error by which node-redis says that a watched key was changed. */
export async function watchError(): Promise<Error> {
  try {
    const { WatchError } = await import('redis');
    return new WatchError();
  } catch {
    // Its client can be installed without the package that gathers everything.
    return new Error('One (or more) of the watched keys has been changed');
  }
}
