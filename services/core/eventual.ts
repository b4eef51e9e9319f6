/** What is at hand, or a promise of it: a call that waits for nothing makes no promise, whose every turn costs. */
export type Eventual<T> = T | Promise<T>;

/** Goes on with a value: at once if it is at hand, and then throws at once what `next` throws. */
export function after<T, U>(value: Eventual<T>, next: (value: T) => Eventual<U>): Eventual<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
