"""Speed of models, bench, bulk engine and regression, each against a plain alternative."""
