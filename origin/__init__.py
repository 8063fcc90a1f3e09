"""The batch side: from events and logs to what the edge reads.

The way of the data: `pull` and `import_log` fill the `lake`, `decisions` makes the training table of it, `train` fits
`posteriors`, `publish` puts a snapshot into `kv`, `status` reads what is live. `config` is `usher.toml`, `settings` the
endpoints, `cli` the commands.
"""
