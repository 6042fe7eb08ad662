-- The bank. Every effect is one statement, so it is there with its key, or not at all.

CREATE SEQUENCE clock;

CREATE TABLE account (
  id int PRIMARY KEY,
  opened bigint NOT NULL,
  balance bigint NOT NULL
);

-- What a caller wanted, and what it was told in the end: NULL is a saga that was lost.
CREATE TABLE saga (
  id text PRIMARY KEY,
  plan jsonb NOT NULL,
  outcome text CHECK (outcome IN ('completed', 'rolled back', 'incomplete')),
  code int,
  message text,
  sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz
);

-- kind 'do': a step's action; 'undo': its compensation; 'void': a compensation came first, and
-- took the action's key, so that an action that is still on its way has no effect any more.
-- Where resaga_barrier is the guard, the key is not unique, and there is no 'void'.
CREATE TABLE effect (
  key text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('do', 'undo', 'void')),
  saga text NOT NULL REFERENCES saga,
  step text NOT NULL,
  invocation text NOT NULL,
  undoes text,
  account int NOT NULL REFERENCES account,
  amount bigint NOT NULL,
  process text NOT NULL,
  -- The steps of the same invocation whose actions ran in the same process when this began.
  beside text[] NOT NULL,
  began bigint NOT NULL,
  ended bigint NOT NULL,
  -- How often it was asked for again with the same key.
  repeats int NOT NULL DEFAULT 0
);
CREATE INDEX ON effect (saga);

-- Strict steps whose outcome is unknown, as an observer was told: nothing undoes them (R7).
CREATE TABLE unknown (
  invocation text NOT NULL,
  step text NOT NULL,
  PRIMARY KEY (invocation, step)
);

CREATE TABLE fault (
  number int PRIMARY KEY,
  kind text NOT NULL,
  target text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION apply_do(
  key_ text, saga_ text, step_ text, invocation_ text, account_ int, amount_ bigint,
  process_ text, beside_ text[], began_ bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE known text;
BEGIN
  INSERT INTO effect VALUES (key_, 'do', saga_, step_, invocation_, NULL, account_, amount_,
                             process_, beside_, began_, nextval('clock'))
    ON CONFLICT (key) DO UPDATE SET repeats = effect.repeats + 1
    RETURNING CASE WHEN repeats > 0 THEN kind END INTO known;
  IF known IS NULL THEN
    UPDATE account SET balance = balance + amount_ WHERE id = account_;
  END IF;
  RETURN known IS DISTINCT FROM 'void';
END $$;

CREATE FUNCTION apply_undo(
  key_ text, undoes_ text, saga_ text, step_ text, invocation_ text, account_ int,
  amount_ bigint, process_ text, beside_ text[], began_ bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE again boolean; found_ text;
BEGIN
  INSERT INTO effect VALUES (key_, 'undo', saga_, step_, invocation_, undoes_, account_, 0,
                             process_, beside_, began_, nextval('clock'))
    ON CONFLICT (key) DO UPDATE SET repeats = effect.repeats + 1
    RETURNING repeats > 0 INTO again;
  IF again THEN
    RETURN;
  END IF;
  -- Waits for an action that is just being committed.
  INSERT INTO effect VALUES (undoes_, 'void', saga_, step_, invocation_, NULL, account_, 0,
                             process_, beside_, began_, nextval('clock'))
    ON CONFLICT (key) DO UPDATE SET key = excluded.key
    RETURNING kind INTO found_;
  IF found_ = 'do' THEN
    UPDATE account SET balance = balance - amount_ WHERE id = account_;
    UPDATE effect SET amount = -amount_ WHERE key = key_;
  END IF;
END $$;
