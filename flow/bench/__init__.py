"""Speed: models, bench, bulk engine and regression, each against something plain."""
