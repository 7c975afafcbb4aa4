-- The conversation in which something was tried, by digest.
ALTER TABLE attempts ADD COLUMN transcript TEXT;
