"""The stages of the workflow, a package each; each rule's function has the rule's name."""
