"""Who says what captions are worth: lexicon, language model, records of earlier answers."""
